import { bodyCases } from './body-cases.js'
import { chunkCases } from './chunk-cases.js'
import { codingCases } from './coding-cases.js'
import { desyncCases } from './desync-cases.js'
import { fieldCases } from './field-cases.js'
import { lengthCases } from './length-cases.js'
import { lineCases } from './line-cases.js'
import { nameCases } from './name-cases.js'
import { plainCases } from './plain-cases.js'
import type { ProbeCase } from './probe-case.js'
import { sizeCases } from './size-cases.js'
import { targetCases } from './target-cases.js'
import { upgradeCases } from './upgrade-cases.js'

/** Every case of a probe, in the order in which they are told. */
export const corpus: readonly ProbeCase[] = [
  ...lineCases,
  ...targetCases,
  ...fieldCases,
  ...nameCases,
  ...lengthCases,
  ...codingCases,
  ...chunkCases,
  ...desyncCases,
  ...bodyCases,
  ...sizeCases,
  ...upgradeCases,
  ...plainCases,
]
