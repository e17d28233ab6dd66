let named: boolean | undefined

/**
 * Answers an SNICallback, and tells whether the client is sure to get the last certificate of the context that the answer gives: not where it may get one of another kind
 * of key as well. Node raises OCSPRequest for that certificate within the answer, and tells nothing else of the connection.
 */
export function answerNamed(isSure: boolean, answer: () => void): void {
  named = isSure
  try {
    answer()
  } finally {
    named = undefined
  }
}

/** What was told, within an answer; `undefined` outside of one. */
export function isNamedSure(): boolean | undefined {
  return named
}
