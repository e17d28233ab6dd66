/** Classes of undici with a `dispatch` of their own that hands on the handler as it is. */
const handsOn: ReadonlySet<unknown> = new Set(['DispatcherBase', 'ProxyAgent'])

/**
 * Tells of a dispatcher whether it is seen to refuse handlers of the interface of undici 7, as those of undici 8 do. A request would show
 * it, but nobody has made one yet. Nearly all are made over one base class, though, whose `dispatch` looks at its arguments first: without a
 * request, undici 7 tells the handler so, and undici 8 throws, since it has found no handler to tell.
 *
 * Only that is called. Where something stands over it, an interceptor or a class of the user's own, it may well make the one handler of the other.
 */
export function refusesHandlers(dispatcher: object): boolean {
  const dispatch = baseDispatch(dispatcher)
  const nothing = (): void => {}
  const handler = {
    onConnect: nothing,
    onUpgrade: nothing,
    onHeaders: nothing,
    onData: nothing,
    onComplete: nothing,
    onError: nothing,
  }
  try {
    dispatch?.call(dispatcher, undefined, handler)
  } catch (error) {
    return (error as { code?: unknown } | undefined)?.code === 'UND_ERR_INVALID_ARG'
  }
  return false
}

type Dispatch = (options: undefined, handler: object) => unknown

/** That of the base class, where nothing but undici stands over it. */
function baseDispatch(dispatcher: object): Dispatch | undefined {
  const { dispatch } = dispatcher as { dispatch: unknown }
  const own = (of: object, name: string): unknown => Object.getOwnPropertyDescriptor(of, name)?.value
  let each: object | null = dispatcher
  let isOurs = false
  for (; each !== null; each = Object.getPrototypeOf(each) as object | null) {
    const found = own(each, 'dispatch')
    if (typeof found !== 'function') continue
    const name = (own(each, 'constructor') as { name?: unknown } | undefined)?.name
    isOurs ||= found === dispatch
    if (!isOurs || !handsOn.has(name)) return undefined
    if (name === 'DispatcherBase') return found as Dispatch
  }
  return undefined
}
