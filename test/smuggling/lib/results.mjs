import { cases } from './corpus.mjs'
import { judge } from './judge.mjs'
import { rig } from './rig.mjs'

/** Sends every case through a proxy over one transport, one after another. */
export async function results(transport, only = '') {
  const running = await rig(transport)
  const list = []
  try {
    for (const each of cases()) {
      if (!each.id.includes(only)) continue
      list.push({ ...each, transport, ...judge(each, await running.send(each.bytes)) })
    }
  } finally {
    await running.close()
  }
  return list
}
