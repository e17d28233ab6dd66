// A chart of lines as SVG, to be read in light and in dark.
const [width, height] = [720, 260]
const [left, right, top, bottom] = [52, 150, 44, 36]
const colours = ['#2563eb', '#d97706', '#059669', '#dc2626', '#7c3aed', '#0891b2', '#65a30d', '#db2777']

/**
 * @param chart `title`, `x` and `y` as labels, `series` of `{ name, points: [[x, y]] }`, `spans` of `{ from, to, name }` in x, `log` for y
 */
export function plot({ title, x, y, series, spans = [], log = false }) {
  const all = series.flatMap(({ points }) => points)
  const [x0, x1] = [Math.min(...all.map(([at]) => at)), Math.max(...all.map(([at]) => at))]
  const most = Math.max(...all.map(([, value]) => value))
  const least = log ? Math.max(Math.min(...all.map(([, value]) => value)), 1e-3) : 0
  const scale = (value) =>
    log ? Math.log(Math.max(value, least) / least) / Math.log(most / least || 2) : value / (most || 1)
  const px = (at) => left + ((at - x0) / (x1 - x0 || 1)) * (width - left - right)
  const py = (value) => height - bottom - scale(value) * (height - top - bottom)
  const text = (at, to, content, extra = '') =>
    `<text x="${at.toFixed(1)}" y="${to.toFixed(1)}" ${extra}>${escape(content)}</text>`
  const ticks = log ? powers(least, most) : steps(most)
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(title)}">`,
    '<style>text{font:12px system-ui,sans-serif;fill:#6b7280}.t{font-weight:600;font-size:13px}line{stroke:#9ca3af;stroke-opacity:.35}polyline{fill:none;stroke-width:1.6;stroke-linejoin:round}rect{fill:#9ca3af;fill-opacity:.18}</style>',
    text(left, 16, title, 'class="t"'),
    ...spans.flatMap(({ from, to, name }) => [
      `<rect x="${px(from).toFixed(1)}" y="${top}" width="${(px(to) - px(from)).toFixed(1)}" height="${height - top - bottom}"/>`,
      text(px(from) + 4, top + 12, name),
    ]),
    ...ticks.flatMap((value) => [
      `<line x1="${left}" x2="${width - right}" y1="${py(value).toFixed(1)}" y2="${py(value).toFixed(1)}"/>`,
      text(left - 6, py(value) + 4, short(value), 'text-anchor="end"'),
    ]),
    text((left + width - right) / 2, height - 8, x, 'text-anchor="middle"'),
    text(left, top - 10, y),
    text(left, height - bottom + 14, short(x0), 'text-anchor="middle"'),
    text(width - right, height - bottom + 14, short(x1), 'text-anchor="middle"'),
    ...series.flatMap(({ name, points }, i) => {
      const colour = colours[i % colours.length]
      return [
        `<polyline stroke="${colour}" points="${points.map(([at, value]) => `${px(at).toFixed(1)},${py(value).toFixed(1)}`).join(' ')}"/>`,
        text(width - right + 10, top + 14 + i * 17, name, `style="fill:${colour}"`),
      ]
    }),
    '</svg>',
  ].join('\n')}\n`
}

function steps(most) {
  const raw = most / 4
  const unit = 10 ** Math.floor(Math.log10(raw || 1))
  const step = [1, 2, 5, 10].map((n) => n * unit).find((each) => each >= raw) ?? unit
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step)
}

function powers(least, most) {
  const found = []
  for (let value = 10 ** Math.ceil(Math.log10(least)); value <= most; value *= 10) found.push(value)
  return found
}

function short(value) {
  return String(Math.round(value * 100) / 100)
}

function escape(text) {
  return text.replace(/[<>&"]/g, (char) => `&#${char.charCodeAt(0)};`)
}
