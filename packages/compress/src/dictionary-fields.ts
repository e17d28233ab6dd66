import { getAll, type HeaderList } from '@sluice/headers'
import { codedFields, varyFields } from './coded-fields.js'
import type { DictionaryCoding } from './dictionary-coding.js'
import { asClient } from './validators.js'

/** The fields of a response that is coded by a dictionary. `headers` isn't edited. */
export function dictionaryFields(headers: HeaderList, coding: DictionaryCoding): HeaderList {
  return varyFields(codedFields(headers, coding, 'weak'), 'Available-Dictionary')
}

/** The fields of a response that another client gets in another form (RFC 9842 section 6.2). `headers` isn't edited. */
export function varyByDictionary(headers: HeaderList): HeaderList {
  return varyFields(varyFields(headers), 'Available-Dictionary')
}

/** The fields of a 304: a client that has a coded form knows it by its weak tag, and must find that again. `headers` isn't edited. */
export function notModified(requested: HeaderList, headers: HeaderList): HeaderList {
  return varyByDictionary(asClient(headers, getAll(requested, 'if-none-match').join(','), 'weak'))
}
