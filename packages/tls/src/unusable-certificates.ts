import { createSecureContext, type SecureContext } from 'node:tls'

/** Self-signed, by kind of key. Nobody has their keys: those were never written. */
const certificates = {
  rsa: [
    'MIIC7jCCAdagAwIBAgIBATANBgkqhkiG9w0BAQsFADAPMQ0wCwYDVQQDDARub25lMCAXDTI2MTEyNjE3MTI1N1oYDzIxMjYxMTAy',
    'MTcxMjU3WjAPMQ0wCwYDVQQDDARub25lMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1ppOdfYsSxrOy6HP3KiONvLg',
    '9rAPneX/9GD3QOw8QeCubxI3urKVSnUlGQCt0rIc+HfciDAKnYapDx+gntGD6aii0OaUxLKEEKw30xfP0J+V5cA6wPqX8BvXiDzC',
    'FGraEm4VvQrRi8ahO7FNDGyb7qRTVNqG1VmFZbNh1kRsGdaZPTN2jzQE8JMsAtxLMj6qeg6U6YF8k5vPj+igmkiheuj5ytN947/N',
    '9RY5VFjsEMjnevub7/kMD4j1tuG/zeLqIL2DJHm48D0KiftCY6RuVB8K4yiIld8wXGcsSrZ7hDnZQKYb5Uo/YGiGTbF0JGnfubT5',
    '3LitRcv4rLcsH2rf+QIDAQABo1MwUTAdBgNVHQ4EFgQUnoCPMn9ymXwmBQ+cBve4bhqKlkkwHwYDVR0jBBgwFoAUnoCPMn9ymXwm',
    'BQ+cBve4bhqKlkkwDwYDVR0TAQH/BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOCAQEAhnKanJ9Cl4HV7Arvb+hW9IbnNHoISr1pOh0s',
    'h638iQQy1M5Xw08wGySQk83yh0bxkwBYRiNa2njyDAaGnaPv2cAfSgUIXwo/cfkWA51g91XrOILhI1RImXEC8wx84v0KA1gYvqBs',
    'gUdRhkTTGoNescc1OZq08WaxXmNuJc093gfIYIVsXUShvboGEgWS3A+hwjIES4i+OrrvXES7NbP8TDYSU5/3ROhs6oaKGfUtsGF1',
    'nfiHBw1+7279m84nS2xVcfpia4KRhRIy1lL+agz1fpD1TOJlOBnkcU8XkgciQrNp/hXcWy8O1qOd6eeFxHgCqbR5bIzIrPkX0uzL',
    '4jKSVw==',
  ],
  ecdsa: [
    'MIIBYjCCAQigAwIBAgIBATAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARub25lMCAXDTI2MTEyNjE3MTI1N1oYDzIxMjYxMTAyMTcx',
    'MjU3WjAPMQ0wCwYDVQQDDARub25lMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEHEYR6PKWcDMWk/wFO7MTtOB0VmBvVRyGaxCZ',
    '8MZEyh6+J9xGOTPC/BVJisc6Dk3dC5/DYXA4a7p2ZJ8qB4OoN6NTMFEwHQYDVR0OBBYEFLvG5zpaNZ54Tb6UnEdDuYAb2h4YMB8G',
    'A1UdIwQYMBaAFLvG5zpaNZ54Tb6UnEdDuYAb2h4YMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgZatmoSs+hSt3',
    '3c/KTGgAGnCzk5aAPYi+jBz9M4+5vrwCIQCHelBu/Zkfc4hmP7CVVpcslz0FKzx9Db0Se2BlRIamIA==',
  ],
}

const made = new Map<string, SecureContext>()

/**
 * A context with a certificate of that kind and without a key, in whose place OpenSSL uses none. `undefined` for kinds of key that hardly any
 * client takes.
 */
export function unusableContext(keyType: string): SecureContext | undefined {
  if (keyType !== 'rsa' && keyType !== 'ecdsa') return undefined
  const known = made.get(keyType)
  if (known !== undefined) return known
  const lines = ['-----BEGIN CERTIFICATE-----', ...certificates[keyType], '-----END CERTIFICATE-----', '']
  const context = createSecureContext({ cert: lines.join('\n') })
  made.set(keyType, context)
  return context
}
