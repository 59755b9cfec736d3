'use strict'

// The man page of the command, in the macros of man(7).

const { ALL, REFUSED } = require('./options.js')

/** Returns the text as roff prints it: neither as a macro nor with typographic hyphens and quotes. */
const plain = (text) =>
  text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq').replace(/^\./gm, '\\&.')

const bold = (text) => `\\fB${plain(text)}\\fR`
const italic = (text) => `\\fI${plain(text)}\\fR`

const section = (title, ...lines) => [`.SH ${title}`, ...lines]
const paragraphs = (...texts) => texts.flatMap((text) => ['.PP', plain(text)])
const item = (term, text) => ['.TP', term, plain(text)]
const code = (...lines) => ['.PP', '.in +4n', '.EX', ...lines.map(plain), '.EE', '.in']

const OPTIONS = ALL.flatMap(({ names, value, text }) =>
  item(names.map(bold).join(', ') + (value ? ` ${italic(value)}` : ''), text),
)

const EXIT_CODES = [
  ['1', 'The lock was not acquired (--conflict-exit-code changes that), or the file is not locked (--who, --break).'],
  ['64', 'The command line is wrong.'],
  ['65, 66, 71, 73', 'FILE cannot be locked, or the lock was lost.'],
  ['69', 'COMMAND cannot be run.'],
  ['70', 'An internal error of locket.'],
]

/** Returns the page of this version. */
const manPage = (version) =>
  `${[
    `.TH LOCKET 1 "" "@locket/native ${version}" "User Commands"`,
    ...section('NAME', 'locket \\- hold a file lock while a command runs'),
    ...section(
      'SYNOPSIS',
      `${bold('locket')} [${italic('options')}] ${italic('FILE')} [${bold('--')}] ${italic('COMMAND')} [${italic('ARG')} ...]`,
      '.br',
      `${bold('locket')} [${italic('options')}] ${italic('FILE')} ${bold('-c')} ${italic('LINE')}`,
      '.br',
      `${bold('locket')} [${italic('options')}] ${bold('--who')} ${italic('FILE')} [${bold('--json')}]`,
      '.br',
      `${bold('locket')} ${bold('--protocol')} ${italic('NAME')} ${bold('--break')} ${italic('FILE')}`,
    ),
    ...section(
      'DESCRIPTION',
      ...paragraphs(
        'Runs COMMAND while it holds the lock of FILE, which is created if it is missing. If another process holds the lock, ' +
          'locket waits for it. The lock is the one of flock(1). It is released when COMMAND ends, and by the kernel if locket ' +
          'and COMMAND are killed: COMMAND inherits the lock, and keeps it if locket alone is killed. FILE may be a folder.',
        'Options come before FILE. After a second of waiting, locket says on stderr who holds the lock.',
      ),
    ),
    ...section('OPTIONS', ...OPTIONS),
    ...paragraphs(
      `Of the options of flock(1), these are not supported: ${REFUSED.map((name) => `--${name}`).join(', ')}.`,
    ),
    ...section(
      'EXIT STATUS',
      ...paragraphs('That of COMMAND. If a signal ends COMMAND, locket ends by the same signal. Otherwise:'),
      ...EXIT_CODES.flatMap(([codes, text]) => item(bold(codes), text)),
    ),
    ...section(
      'EXAMPLES',
      ...paragraphs('One build at a time, and none waits for longer than 30 seconds:'),
      ...code('locket --timeout 30 build.lock npm run build'),
      ...paragraphs('A cron job that is skipped while the last one still runs:'),
      ...code('locket --nonblock --conflict-exit-code 0 report.lock ./report'),
      ...paragraphs('At most four compilers at once, from whatever shell:'),
      ...code('locket --permits 4 compile.slots cc -c file.c'),
      ...paragraphs('Who holds the lock?'),
      ...code("locket --who build.lock || echo 'not locked'"),
    ),
    ...section('SEE ALSO', `${bold('flock')}(1), ${bold('flock')}(2), ${bold('dotlockfile')}(1), ${bold('sem')}(1)`),
  ].join('\n')}\n`

module.exports = { manPage }
