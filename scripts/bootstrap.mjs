// What every npm script of the root runs: installs what is missing, builds what changed, then does what was asked.
// This file keeps to syntax that old versions of Node can read, so that they get to print the line below.
const [major, minor] = process.versions.node.split('.').map(Number)

if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Sluice needs Node 20.19 or newer, and this is ${process.version}.`)
  process.exitCode = 1
} else {
  import('./lib/commands.mjs')
    .then((commands) => commands.main(process.argv.slice(2)))
    .then(
      (code) => {
        process.exitCode = code
      },
      (error) => {
        console.error(error)
        process.exitCode = 1
      },
    )
}
