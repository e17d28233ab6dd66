/** Why a run came to nothing, for a person: no stack is of use. */
export class RunError extends Error {}
