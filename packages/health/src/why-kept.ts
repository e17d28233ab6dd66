import type { Target } from '@sluice/upstream'
import { isFit } from './is-fit.js'

/**
 * Why a target must not be ejected, whatever it did; nothing if it may.
 *
 * Only one that is fit can be taken out: draining, unhealthy and ejected ones get no requests anyway. The last one that is fit
 * stays: without it all targets would be asked, those that are known to fail included. Besides that one may be out always,
 * more up to the share of those that aren't draining.
 * @param out how many are ejected so far
 */
export function whyKept(
  target: Target,
  all: readonly Target[],
  out: number,
  maxPercent: number,
): string | undefined {
  if (!isFit(target)) return 'not in use'
  if (!all.some((each) => each !== target && isFit(each))) return 'no other target is fit'
  const members = all.filter(({ state }) => state !== 'draining').length
  const limit = maxPercent === 0 ? 0 : Math.max(Math.floor((members * maxPercent) / 100), 1)
  return out < limit ? undefined : `${out} of ${members} targets are out`
}
