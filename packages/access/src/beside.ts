import { v } from '@sluice/options'

/**
 * Holds an option to what others beside it say. The fault is told at that option: of the whole an error would show secrets.
 * @param kept whether the options fit together
 * @param takes what the option may be then
 */
export function beside<T extends object>(
  option: keyof T & string,
  kept: (options: T) => boolean,
  takes: string,
): v.RawCheckAction<T> {
  return v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed || kept(dataset.value)) return
    const { value } = dataset
    const input = value[option]
    const at = { type: 'object', origin: 'value', input: value, key: option, value: input } as const
    addIssue({ message: takes, input, path: [at as never] })
  })
}
