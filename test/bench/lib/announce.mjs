// How a contender or an origin speaks with the run: one line of JSON when it serves, then nothing. It ends on SIGTERM, on
// SIGINT, and when its standard input ends: so it doesn't outlive a run that was killed.

/**
 * Says where this process serves.
 * @param port on 127.0.0.1
 * @param pid whose CPU time counts, with that of its children
 */
export function announce(port, pid = process.pid) {
  process.stdout.write(`${JSON.stringify({ port, pid })}\n`)
}

/** Lets a `node:http` server serve on a free port of the loopback interface, and says so. */
export function serve(server) {
  endWithTheRun()
  server.listen(0, '127.0.0.1', () => announce(server.address().port))
}

/** Arranges the end of this process, `stop` first. */
export function endWithTheRun(stop = () => {}) {
  let ending = false
  const end = async () => {
    if (ending) return
    ending = true
    await stop()
    // By exit() and not by the signal itself: only so does --cpu-prof write its file.
    process.exit(0)
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
  process.stdin.on('end', end).on('error', end).resume()
}
