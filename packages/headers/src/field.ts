/** Whether this is a field name: a token (RFC 9110 section 5.1). */
export function isFieldName(name: string): boolean {
  return /^[!#$%&'*+.^`|~\w-]+$/.test(name)
}

/** Whether this may be a field's value: no control characters but tab, no line breaks (RFC 9110 section 5.5). */
export function isFieldValue(value: string): boolean {
  return !/[^\t\x20-\x7e\x80-\xff]/.test(value)
}
