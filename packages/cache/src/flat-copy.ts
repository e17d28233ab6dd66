/**
 * The same text in memory of its own. A part of a text refers to the whole, so a field kept for hours would keep the head that it came in;
 * and a joined text refers to its parts. What `join` makes is neither.
 */
export function flatCopy(text: string): string {
  return text.length < 2 ? text : [text.slice(0, 1), text.slice(1)].join('')
}
