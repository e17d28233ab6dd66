/** The library for certificates that Node can't write, loaded with its first use: that takes 50 ms. */
export async function x509Library(): Promise<typeof import('@peculiar/x509')> {
  // It asks for decorator metadata before it loads.
  await import('reflect-metadata')
  return import('@peculiar/x509')
}
