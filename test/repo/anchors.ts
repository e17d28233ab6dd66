/**
 * Anchors of a page's headings as GitHub makes them: the text without its marks, in small letters, blanks as hyphens, all else that is
 * no letter, digit, `_` or `-` left out, and a number behind one that was there before.
 */
export function anchorsOf(markdown: string): string[] {
  const seen = new Map<string, number>()
  return headings(markdown).map((heading) => {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[`*]/g, '')
    const slug = text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M} _-]/gu, '')
      .replaceAll(' ', '-')
    const times = seen.get(slug) ?? 0
    seen.set(slug, times + 1)
    return times === 0 ? slug : `${slug}-${times}`
  })
}

/** What looks like one in a block of code is a comment of the code. */
function headings(markdown: string): string[] {
  let fence = ''
  return markdown.split('\n').flatMap((line) => {
    const [, marks = ''] = /^ {0,3}(`{3,}|~{3,})/.exec(line) ?? []
    if (fence !== '') {
      if (marks.startsWith(fence)) fence = ''
      return []
    }
    fence = marks
    const [, heading] = /^ {0,3}#{1,6} +(.*?)(?: +#+)? *$/.exec(line) ?? []
    return heading === undefined ? [] : [heading]
  })
}
