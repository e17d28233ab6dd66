/** The version of Node that the tests run on, where it decides who does what. */
export const nodeMajor = Number.parseInt(process.versions.node, 10)
