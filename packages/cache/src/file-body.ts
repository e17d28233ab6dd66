import { freeMemory, PushBody, type Spent } from '@sluice/core'
import type { SharedFile } from './file-entry.js'
import { blockSize } from './file-format.js'

/** A block is in memory of its own, which nobody but its taker ever sees. */
const spent: Spent = ({ buffer }) => freeMemory(buffer)

/** The bytes of a stored file from `at` to before `to`, block by block, each looked at before it is given. Nothing is read before it is taken. */
export class FileBody extends PushBody {
  override readonly length: number
  private reading = false
  private holds: boolean

  constructor(
    private readonly file: SharedFile,
    private at: number,
    private readonly to: number,
  ) {
    super()
    this.length = to - at
    this.waiting = true
    this.holds = file.hold()
    if (!this.holds) this.fail(new Error('the entry was released before its body was asked for'))
  }

  protected resume(): void {
    if (!this.reading) void this.read()
  }

  protected stop(): void {
    this.letGo()
  }

  private async read(): Promise<void> {
    this.reading = true
    let room = true
    try {
      while (room && this.at < this.to && !this.ended) {
        const index = Math.floor(this.at / blockSize)
        const block = await this.file.block(index)
        if (this.ended) break
        const begin = index * blockSize
        const part = block.subarray(this.at - begin, this.to - begin)
        this.at += part.length
        room = this.push(part, spent)
      }
    } catch (error) {
      this.letGo()
      this.fail(error as Error)
    }
    this.reading = false
    if (this.at < this.to || this.ended) return
    this.letGo()
    this.finish()
  }

  private letGo(): void {
    if (!this.holds) return
    this.holds = false
    this.file.letGo()
  }
}
