// A Redis that keeps nothing on disk.
import { launch } from '../../bench/lib/native-server.mjs'

await launch(
  'redis-server',
  () => ({}),
  (folder, port) =>
    ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no'].map(String),
)
