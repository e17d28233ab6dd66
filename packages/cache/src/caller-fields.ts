/**
 * Fields, in lower case, in which a proxy tells targets who asks, in place of what the client has sent there. A response that varies on one of
 * them was chosen by what the target got: by the client's own list all who send none would have the page of the first. By that list as well,
 * since an app behind `fromListener` reads what came: by who asks alone, all who come by one proxy would.
 */
export const callerFields: ReadonlySet<string> = new Set(['x-forwarded-for', 'forwarded'])
