import { that, v } from '@sluice/options'
import { fill, type PageForms } from './page.js'

const isFunction = (value: unknown): boolean => typeof value === 'function'
const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Looked at with its places filled: without that `{"status":{status}}` is none. */
function isJson(value: unknown): boolean {
  if (typeof value !== 'string') return false
  try {
    JSON.parse(fill(value, { status: 500, title: 'x' }, (text) => text))
    return true
  } catch {
    return false
  }
}

const forms = v.pipe(
  v.strictObject({
    html: v.optional(v.string()),
    json: v.optional(that<string>(isJson, `JSON as text, such as '{"status":{status},"title":"{title}"}'`)),
    text: v.optional(v.string()),
  }),
  v.check(
    (page: PageForms) => Object.values(page).some((form) => form !== undefined),
    'at least one of html, json and text',
  ),
)

const page = v.lazy((value) =>
  isObject(value)
    ? forms
    : that(
        (text) => typeof text === 'string' || isFunction(text),
        'HTML as text, { html, json, text }, or a function',
      ),
)

/** Schema of pages by status. */
export const pagesOptions = v.record(
  that<string>(
    (key) => key === 'default' || key === '4xx' || key === '5xx' || /^[45]\d\d$/.test(String(key)),
    "pages by status: 400 to 599, '4xx', '5xx' or 'default'",
  ),
  page,
)

const intercept = v.array(
  that(
    (status) =>
      status === '4xx' ||
      status === '5xx' ||
      (Number.isInteger(status) && (status as number) >= 400 && (status as number) <= 599),
    "a status from 400 to 599, '4xx' or '5xx'",
  ),
)

/** Schema of the options of `errorPages`. */
export const errorPagesOptions = v.strictObject({ pages: pagesOptions, intercept: v.optional(intercept) })
