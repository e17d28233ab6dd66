/** Bytes of a version 1 header at most, its line end included (section 2.1). */
export const longestLine = 107

/**
 * Bytes behind the first 16 of a version 2 header at most. The field could say 65,535, and every connection could make its
 * receiver keep as much before it has said who it is; a client's certificate fits.
 */
export const longestBlock = 16 * 1024
