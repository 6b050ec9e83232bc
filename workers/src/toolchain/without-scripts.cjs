// A plugin of yarn berry: no script of a package.json runs. `yarn pack` runs `prepack` and `postpack` and has no flag
// against it; a plan has run what matters before it packs.
module.exports = {
  name: 'countersign-without-scripts',
  factory: () => ({ hooks: { wrapScriptExecution: async () => async () => 0 } }),
};
