/** The first bytes of a version 2 header (section 2.2): no other protocol begins so. */
export const signature: Buffer = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

/** The first bytes of a version 1 header (section 2.1). */
export const word: Buffer = Buffer.from('PROXY ', 'latin1')
