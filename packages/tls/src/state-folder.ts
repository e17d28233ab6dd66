import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

/** Where programs of this user keep what outlives them: `XDG_STATE_HOME`, or `~/.local/state`. A relative one is to be ignored (XDG Base Directory). */
export function stateFolder(env: NodeJS.ProcessEnv = process.env): string {
  const given = env['XDG_STATE_HOME']
  return given !== undefined && isAbsolute(given) ? given : join(homedir(), '.local', 'state')
}
