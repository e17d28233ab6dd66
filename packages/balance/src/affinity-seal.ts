import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import type { Target } from '@sluice/upstream'
import { perList } from './per-list.js'

const tagLength = 16
const macLength = 32
const ivLength = 12

/**
 * What one secret makes of targets. A target's tag is a keyed digest of its id, so it says nothing to whoever lacks the secret.
 *
 * signed:    tag, HMAC-SHA-256(tag)                    = 48 bytes, the same for all clients of a target
 * encrypted: iv, AES-256-GCM(tag), authentication tag  = 44 bytes, never the same twice
 *
 * The cookie's name goes into every key: a cookie is worth nothing under another name.
 */
export class AffinitySeal {
  private readonly tagKey: Buffer
  private readonly key: Buffer
  private readonly tags: (list: readonly Target[]) => ReadonlyMap<string, Target>

  constructor(
    secret: string,
    name: string,
    private readonly encrypt: boolean,
  ) {
    this.tagKey = derive(secret, `tag ${name}`)
    this.key = derive(secret, `${encrypt ? 'encrypt' : 'sign'} ${name}`)
    this.tags = perList(
      (list) => new Map(list.map((target) => [this.tagOf(target).toString('latin1'), target])),
    )
  }

  /** A cookie's value for a target. */
  seal(target: Target): string {
    const tag = this.tagOf(target)
    if (!this.encrypt) return Buffer.concat([tag, this.mac(tag)]).toString('base64url')
    const iv = randomBytes(ivLength)
    const cipher = createCipheriv('aes-256-gcm', this.key, iv)
    return Buffer.concat([iv, cipher.update(tag), cipher.final(), cipher.getAuthTag()]).toString('base64url')
  }

  /** Whose a cookie is: `'gone'` if it is genuine and its target not among these, `undefined` if it isn't ours. */
  open(value: string, targets: readonly Target[]): Target | 'gone' | undefined {
    const bytes = Buffer.from(value, 'base64url')
    // Node skips what is no base64url: only what we would write is ours.
    if (bytes.toString('base64url') !== value) return undefined
    const tag = this.encrypt ? this.decrypt(bytes) : this.verify(bytes)
    return tag === undefined ? undefined : (this.tags(targets).get(tag.toString('latin1')) ?? 'gone')
  }

  private verify(bytes: Buffer): Buffer | undefined {
    if (bytes.length !== tagLength + macLength) return undefined
    const tag = bytes.subarray(0, tagLength)
    return timingSafeEqual(bytes.subarray(tagLength), this.mac(tag)) ? tag : undefined
  }

  private decrypt(bytes: Buffer): Buffer | undefined {
    if (bytes.length !== ivLength + tagLength + 16) return undefined
    const decipher = createDecipheriv('aes-256-gcm', this.key, bytes.subarray(0, ivLength), {
      authTagLength: 16,
    })
    decipher.setAuthTag(bytes.subarray(ivLength + tagLength))
    const tag = decipher.update(bytes.subarray(ivLength, ivLength + tagLength))
    try {
      decipher.final()
    } catch {
      return undefined
    }
    return tag
  }

  private tagOf({ id }: Target): Buffer {
    return createHmac('sha256', this.tagKey).update(id).digest().subarray(0, tagLength)
  }

  private mac(tag: Buffer): Buffer {
    return createHmac('sha256', this.key).update(tag).digest()
  }
}

function derive(secret: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `sluice affinity: ${purpose}`, 32))
}
