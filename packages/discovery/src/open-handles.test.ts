import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { consulServer } from '../../../test/kit/consul-server.js'
import { kubernetesServer } from '../../../test/kit/kubernetes-server.js'
import { nameServer } from '../../../test/kit/name-server.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

it('holds no process open, with all sources at work', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-open-'))
  own({ close: () => rmSync(folder, { recursive: true }) })
  const file = join(folder, 'targets.json')
  writeFileSync(file, '["http://127.0.0.1:1"]')
  const consul = own(await consulServer('web', [{ port: 80 }]))
  const slices = [{ name: 'web-a', endpoints: [{ address: '10.0.0.1' }] }]
  const kubernetes = own(await kubernetesServer('web', { slices }))
  const names = own(await nameServer({ 'api.test': [{ type: 'A', address: '10.0.0.1' }] }))
  const given = JSON.stringify({
    file,
    consul: { api: { url: consul.url }, pause: 1 },
    kubernetes: { service: 'web', namespace: 'default', api: { url: kubernetes.url } },
    dns: { servers: [names.address] },
  })
  const program = `
    import { setTimeout as wait } from 'node:timers/promises'
    import { consulTargets, dnsTargets, fileTargets, kubernetesTargets } from '@sluice/discovery'
    const given = ${given}
    const seen = new Set()
    const watch = (name, source) => source.watch(() => seen.add(name))
    watch('file', fileTargets(given.file))
    watch('consul', consulTargets('web', given.consul))
    watch('kubernetes', kubernetesTargets(given.kubernetes))
    watch('dns', dnsTargets('api.test', given.dns))
    // The only thing that holds it open, until all have begun and wait.
    while (seen.size < 4) await wait(5)
    console.log([...seen].sort().join())
  `
  const args = ['--input-type=module', '--eval', program]
  const root = new URL('../../..', import.meta.url)
  // A timer or a socket left open would make it outlive its time, and so be killed.
  const child = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 10_000 })
  expect(child).toEqual({ stdout: 'consul,dns,file,kubernetes\n', stderr: '' })
})
