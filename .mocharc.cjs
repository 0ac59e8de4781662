/*
 * Options of mocha. `mocha FILE…` runs those files only; `mocha` alone runs the unit and property tests. A list of specs in
 * a JSON file would be added to the files of the command line instead.
 */
const hasFiles = process.argv.slice(2).some((argument) => argument.endsWith('.test.ts'));

module.exports = {
  ...(hasFiles ? {} : { spec: ['test/unit/**/*.test.ts', 'test/property/**/*.test.ts'] }),
  require: ['./test/support/seed.ts'],
  failZero: true,
  checkLeaks: true,
  // A command loads zod while its test runs.
  globals: ['__zod_globalConfig', '__zod_globalRegistry'],
  // Ends a test that hangs. A test waits for facts, which take as long as a busy machine needs.
  timeout: 120_000,
};
