/** Codes of the system for a process, or a system, with no file left to open, no memory and no buffer: whoever was to be called wasn't asked. */
export const ownLimits: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'])
