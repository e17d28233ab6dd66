/**
 * Runs programs, which its arguments name, one after the other in this process: the packages that they share are loaded once.
 * Each begins when the one before has ended by itself, and the parent is told how each has ended.
 */
import { pathToFileURL } from 'node:url'

const files = process.argv.slice(2)
/** @type {string | undefined} */
let file
let whole = true

// Node asks this when nothing is left to do, which is where a program by itself would be over.
process.on('beforeExit', () => {
  // 13 is what Node ends with where a top-level await never comes back.
  if (file !== undefined) process.send?.({ file, code: process.exitCode ?? (whole ? 0 : 13) })
  process.exitCode = undefined
  file = files.shift()
  if (file === undefined) return
  whole = false
  // As if it had been started by itself.
  process.argv = [process.argv0, file]
  // What it throws ends this process as it would end the program.
  void import(pathToFileURL(file).href).then(() => {
    whole = true
  })
})
