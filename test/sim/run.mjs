// Compares policies and what stands around them in simulated time: what a client waits, who gets how much, what fails.
import { main } from './lib/command.mjs'

process.exitCode = await main(process.argv.slice(2))
