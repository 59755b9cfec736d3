'use strict'

// The links of the pages that are published.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { repositoryOf, withLinks } = require('../../scripts/packaging/links.js')

test('a page leads to the repository for what is not in the tarball, once its place is known', () => {
  const text = '[a](a.md#x), [b](../b.md), [c](https://c), `x`\n\n```js\n[d](d.md)\n```\n\n[e](e.md)'
  const page = { file: 'docs/p.md', files: ['docs/a.md'] }
  const place = repositoryOf({ repository: { url: 'git+https://example.org/locket.git' } })
  assert.equal(
    withLinks(text, { ...page, repository: place }),
    text
      .replace('../b.md', 'https://example.org/locket/blob/HEAD/b.md')
      .replace('(e.md)', '(https://example.org/locket/blob/HEAD/docs/e.md)'),
  )
  assert.equal(withLinks(text, page), text.replace('[b](../b.md)', 'b').replace('[e](e.md)', 'e'))
})
