import neostandard, { plugins, resolveIgnoresFromGitignore } from 'neostandard'

const typescript = plugins['typescript-eslint']

export default [
  ...neostandard({ ts: true, ignores: resolveIgnoresFromGitignore() }),
  { rules: { 'no-void': ['error', { allowAsStatement: true }] } },
  {
    files: ['index.ts', 'lib/**/*.ts', 'types/**/*.ts'],
    languageOptions: { parserOptions: { projectService: true } },
    plugins: { '@typescript-eslint': typescript.plugin },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error'
    }
  },
  {
    // Fake timers replace these. Our own scheduling is of lib/timers.ts.
    files: ['lib/**/*.ts'],
    ignores: ['lib/timers.ts', 'lib/seams/tick-shape.ts'],
    rules: {
      'no-restricted-globals': ['error', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'clearImmediate', 'queueMicrotask', 'performance'],
      'no-restricted-properties': ['error', { object: 'process', property: 'nextTick' }]
    }
  },
  {
    // An interface that is augmented must repeat every type parameter, used or not.
    files: ['types/fastify.ts'],
    rules: { '@typescript-eslint/no-unused-vars': 'off' }
  }
]
