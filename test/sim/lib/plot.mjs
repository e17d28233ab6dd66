// A chart of lines as SVG. It is the same text on every engine: no logarithm of the engine's is in it. It brings its own ground: what shows it may be light or dark, whatever the reader's system says.
import { ln } from './chance.mjs'

const [width, height] = [760, 310]
const [left, right, top, bottom] = [58, 200, 76, 46]
/** After Okabe and Ito, told apart also by those who see few colours; on the dark ground a little lighter. */
const colours = ['#0072b2', '#d55e00', '#009e73', '#aa4499', '#8a6d00', '#56789a']
const onDark = ['#5ab4e5', '#f08a3c', '#2fc79b', '#e08fc4', '#e0c040', '#9fb3c8']
/** Between the names of two lines, so that none stands on another. */
const lineHeight = 16

/**
 * @param chart `title`, `x` and `y` as labels, `series` of `{ name, points: [[x, y]] }`, `spans` of `{ from, to, name }` in x, `log` for
 * y, whose values are all above 0 then
 */
export function plot({ title, x, y, series, spans = [], log = false }) {
  const all = series.flatMap(({ points }) => points)
  const [x0, x1] = [Math.min(...all.map(([at]) => at)), Math.max(...all.map(([at]) => at))]
  const values = all.map(([, value]) => value)
  const { from, to, ticks } = (log ? powers : steps)(Math.min(...values), Math.max(...values))
  const scale = (value) => (log ? ln(value / from) / ln(to / from) : (value - from) / (to - from))
  const px = (at) => round(left + ((at - x0) / (x1 - x0 || 1)) * (width - left - right))
  const py = (value) => round(height - bottom - scale(value) * (height - top - bottom))
  const names = apart(series.map(({ points }) => py(points.at(-1)[1])))
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">`,
    `<style>${style(series.length)}</style>`,
    `<rect class="ground" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="6"/>`,
    text(16, 24, title, 'title'),
    text(16, 43, y),
    ...spans.flatMap((span) => [
      `<rect class="span" x="${px(span.from)}" y="${top}" width="${round(px(span.to) - px(span.from))}" height="${height - top - bottom}"/>`,
      text(round((px(span.from) + px(span.to)) / 2), top - 6, span.name, 'middle'),
    ]),
    ...ticks.flatMap((value) => [
      `<line x1="${left}" x2="${width - right}" y1="${py(value)}" y2="${py(value)}"/>`,
      text(left - 8, py(value) + 4, short(value), 'end'),
    ]),
    ...every(x0, x1).map((at) => text(px(at), height - bottom + 18, short(at), 'middle')),
    text((left + width - right) / 2, height - 10, x, 'middle'),
    ...series.flatMap(({ name, points }, i) => [
      `<polyline class="l${i}" points="${points.map(([at, value]) => `${px(at)},${py(value)}`).join(' ')}"/>`,
      `<path class="l${i}" d="M${width - right + 2} ${py(points.at(-1)[1])}L${width - right + 12} ${names[i]}"/>`,
      text(width - right + 16, round(names[i] + 4), name, `n${i}`),
    ]),
    '</svg>',
  ].join('\n')}\n`
}

function style(count) {
  const lines = (list) =>
    Array.from(
      { length: count },
      (_, i) => `.l${i}{stroke:${list[i % list.length]}}.n${i}{fill:${list[i % list.length]}}`,
    ).join('')
  return [
    'text{font:13px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#4b5563}.title{font-weight:600;font-size:15px;fill:#111827}',
    '.middle{text-anchor:middle}.end{text-anchor:end}',
    'polyline,path{fill:none;stroke-width:2;stroke-linejoin:round}path{stroke-width:1;stroke-opacity:.6}',
    '.ground{fill:#fff;stroke:#d1d5db}line{stroke:#e5e7eb}.span{fill:#f3f4f6}',
    lines(colours),
    '@media (prefers-color-scheme:dark){text{fill:#9ca3af}.title{fill:#f3f4f6}.ground{fill:#0f172a;stroke:#334155}line{stroke:#334155}.span{fill:#1e293b}',
    `${lines(onDark)}}`,
  ].join('')
}

function text(x, y, content, kind = '') {
  return `<text x="${x}" y="${y}"${kind === '' ? '' : ` class="${kind}"`}>${escape(content)}</text>`
}

/** Where names go, as near to the ends of their lines as they may without touching each other. */
function apart(ends) {
  const order = ends.map((_, i) => i).sort((a, b) => ends[a] - ends[b] || a - b)
  const places = ends.slice()
  let above = Number.NEGATIVE_INFINITY
  for (const i of order) above = places[i] = Math.max(ends[i], above + lineHeight)
  let below = height - bottom + lineHeight / 2
  for (const i of order.toReversed()) {
    places[i] = round(Math.min(places[i], below))
    below = places[i] - lineHeight
  }
  return places
}

/** 0.1, 1, 10… with what stands between: `[1, 2, 5]`, say. */
const nice = (digits) =>
  [-1, 0, 1, 2, 3, 4, 5, 6].flatMap((power) => digits.map((digit) => digit * 10 ** power))

/** An axis from 0 in steps of 1, 2 or 5. */
function steps(_least, most) {
  const step = nice([1, 2, 5]).find((each) => each * 4 >= most)
  const count = Math.max(1, Math.ceil(round(most / step)))
  return { from: 0, to: count * step, ticks: Array.from({ length: count + 1 }, (_, i) => i * step) }
}

/** An axis of powers of ten, and the threes between. */
function powers(least, most) {
  const all = nice([1, 3])
  const from = all.findLast((value) => value <= least)
  const to = all.find((value) => value >= most)
  return { from, to, ticks: all.filter((value) => value >= from && value <= to) }
}

/** Whole seconds along the axis, few enough to be read. */
function every(from, to) {
  const step = [1, 2, 5, 10, 20, 50, 100].find((each) => (to - from) / each <= 10) ?? to - from
  const places = []
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) places.push(at)
  return places
}

function short(value) {
  return String(round(value)).replace(/\B(?=(\d{3})+$)/g, ' ')
}

function round(value) {
  return Math.round(value * 10) / 10
}

function escape(content) {
  return content.replace(/[<>&"]/g, (char) => `&#${char.charCodeAt(0)};`)
}
