import { turnTime } from '@sluice/core'

/** Milliseconds of a slot: how late a deadline may be told. */
const tick = 50
/** Slots of the wheel: 3.2 s. What is due later is looked at again when that time is over. */
const slots = 64
/** Instead of the time of one that is due and was put off: before any. */
const putOff = Number.NEGATIVE_INFINITY

/** A point in time at which something has taken too long. Made once for what it watches, and set again and again. */
export class Deadline {
  /** When it is due, by the wheel's clock; infinite while it isn't set, below 0 once it was put off. */
  at = Number.POSITIVE_INFINITY
  /** The tick at which it is looked at; -1 while it is in no slot. */
  slot = -1
  next: Deadline | undefined = undefined

  constructor(public expired: () => void) {}
}

/**
 * Deadlines of many connections on one timer: a wheel of slots (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels",
 * 1987), made lazy. Setting a deadline anew writes one number as long as it moves away, which is what happens with each
 * request and each part of a body; only when its slot comes up it is looked at, and put where it belongs now.
 *
 * due = first tick at or after `at`; slot = due mod 64, at most 63 ticks ahead
 *
 * Node's timers come ahead of its reads. A turn of the wheel that comes more than a tick late was held up, by an app that computes or a machine that
 * slept, and what had come in time is still unread: so what is due then is told a tick later. Each of them once, for a process that is always late
 * has to tell all the same.
 */
export class Deadlines {
  private readonly wheel: (Deadline | undefined)[] = new Array(slots).fill(undefined)
  /** Deadlines in slots. */
  private count = 0
  private timer: NodeJS.Timeout | undefined = undefined
  /** The tick that the timer waits for. */
  private planned = Number.POSITIVE_INFINITY
  /** Ticks up to this one have been looked at. */
  private passed = -1
  /** Deadlines that have passed and are being told. */
  private telling: Deadline[] = []

  /** @param now monotonic milliseconds */
  constructor(readonly now: () => number = turnTime) {}

  /** Sets a deadline `ms` from now, 0 takes it away; gives back what the time is. */
  set(deadline: Deadline, ms: number): number {
    const now = this.now()
    if (ms === 0) {
      deadline.at = Number.POSITIVE_INFINITY
      return now
    }
    deadline.at = now + ms
    const due = Math.ceil(deadline.at / tick)
    if (deadline.slot !== -1 && deadline.slot <= due) return now
    if (deadline.slot !== -1) this.unlink(deadline)
    this.link(deadline, due, Math.floor(now / tick))
    return now
  }

  /** Takes a deadline away. It costs one write: it leaves its slot when that comes up. */
  clear(deadline: Deadline): void {
    deadline.at = Number.POSITIVE_INFINITY
  }

  /** Takes away one that won't be set again, with what it knows: its slot holds it for up to 3.2 s, a connection's buffer too. */
  drop(deadline: Deadline): void {
    deadline.at = Number.POSITIVE_INFINITY
    deadline.expired = nobody
  }

  /** Forgets all deadlines. */
  close(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.planned = Number.POSITIVE_INFINITY
    for (let each of [...this.wheel, ...this.telling]) {
      while (each !== undefined) {
        const { next } = each
        each.at = Number.POSITIVE_INFINITY
        each.slot = -1
        each.next = undefined
        each = next
      }
    }
    this.wheel.fill(undefined)
    this.count = 0
  }

  private link(deadline: Deadline, due: number, current: number): void {
    if (this.count === 0) this.passed = current
    const slot = Math.min(Math.max(due, this.passed + 1), this.passed + slots - 1)
    deadline.slot = slot
    const at = slot % slots
    deadline.next = this.wheel[at]
    this.wheel[at] = deadline
    this.count++
    if (slot < this.planned) this.plan(slot)
  }

  private unlink(deadline: Deadline): void {
    const at = deadline.slot % slots
    let each = this.wheel[at]
    if (each === deadline) {
      this.wheel[at] = deadline.next
    } else {
      while (each !== undefined && each.next !== deadline) each = each.next
      if (each === undefined) return
      each.next = deadline.next
    }
    deadline.slot = -1
    deadline.next = undefined
    this.count--
  }

  private plan(slot: number): void {
    clearTimeout(this.timer)
    this.planned = slot
    this.timer = setTimeout(() => this.turn(), Math.max(slot * tick - this.now(), 1)).unref()
  }

  /** Looks at each slot whose time has come. */
  private turn(): void {
    const now = this.now()
    const current = Math.floor(now / tick)
    const late = current - this.planned > 1
    this.planned = Number.POSITIVE_INFINITY
    // After a long block of the event loop one round looks at every slot.
    let slot = Math.max(this.passed, current - slots) + 1
    this.passed = Math.max(this.passed, current)
    const due: Deadline[] = []
    for (; slot <= current; slot++) {
      let each = this.wheel[slot % slots]
      this.wheel[slot % slots] = undefined
      while (each !== undefined) {
        const { next } = each
        each.slot = -1
        each.next = undefined
        this.count--
        if (late && each.at <= now && each.at !== putOff) {
          each.at = putOff
          this.link(each, current + 1, current)
        } else if (each.at <= now) due.push(each)
        else if (each.at !== Number.POSITIVE_INFINITY) this.link(each, Math.ceil(each.at / tick), current)
        each = next
      }
    }
    if (this.count > 0) {
      for (let i = 1; i < slots; i++) {
        if (this.wheel[(current + i) % slots] === undefined) continue
        if (current + i < this.planned) this.plan(current + i)
        break
      }
    }
    this.telling = due
    for (const each of due) {
      // Another one's end may have moved it.
      if (each.at > now) continue
      each.at = Number.POSITIVE_INFINITY
      each.expired()
    }
    this.telling = []
  }
}

function nobody(): void {}
