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

/** Clients would get the path of a file to read. */
const notPath = (page: unknown): boolean =>
  typeof page !== 'string' || !/^[^\s<{]+\.(html?|txt|json)$/i.test(page)
const itself = "the page itself, and no path: of a file it is readFileSync(path, 'utf8')"

const text = v.pipe(
  v.string(),
  v.check((page) => notPath(page), itself),
)
const forms = v.pipe(
  v.strictObject({
    html: v.optional(text),
    json: v.optional(that<string>(isJson, `JSON as text, such as '{"status":{status},"title":"{title}"}'`)),
    text: v.optional(text),
  }),
  v.check(
    (page: PageForms) => Object.values(page).some((form) => form !== undefined),
    'at least one of html, json and text',
  ),
)

const shortPage = v.pipe(
  that(
    (page) => typeof page === 'string' || isFunction(page),
    'HTML as text, { html, json, text }, or a function',
  ),
  v.check(notPath, itself),
)
const page = v.lazy((value) => (isObject(value) ? forms : shortPage))

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
