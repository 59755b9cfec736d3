'use strict'

// The links of the pages that are published: those to files that are not, lead to the repository.

const path = require('node:path')

const FENCED = /^( *)(?:```|~~~)[\s\S]*?^\1(?:```|~~~) *$/gm
const LINK = /(?<!!)\[([^\]]+)\]\((?!\w+:|#)([^)#]*)(#[^)]*)?\)/g

/**
 * Returns the text of a page. `file`: its path from the root of the clone; `files`: the paths of all that are published beside
 * it; `repository`: where the others are, as a URL. While that is not known, what would be a link to them is only its text.
 */
function withLinks(text, { file, files, repository }) {
  const resolved = (link, words, target, anchor = '') => {
    const to = path.posix.join(path.posix.dirname(file), target)
    if (files.some((each) => each === to || each.startsWith(`${to}/`))) return link
    return repository ? `[${words}](${repository}/blob/HEAD/${to}${anchor})` : words
  }
  // What is between the fences is code.
  const fences = text.match(FENCED) ?? []
  return text
    .split(FENCED)
    .filter((_, index) => index % 2 === 0)
    .map((prose, index) => prose.replace(LINK, resolved) + (fences[index] ?? ''))
    .join('')
}

/** Returns where the files of the repository that a package.json names can be read, or undefined. */
const repositoryOf = ({ repository }) => (repository?.url ?? repository)?.replace(/^git\+/, '').replace(/\.git$/, '')

module.exports = { repositoryOf, withLinks }
