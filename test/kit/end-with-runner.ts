// A worker outlives a test runner that was killed, for as long as its test hangs. This ends it.
process.on('disconnect', () => process.exit(1))
