// A clock that began at a commit's time and runs on from there. Loaded before everything else by
// NODE_OPTIONS=--require, so children and worker threads have it too. Both numbers are written in by the worker, in
// milliseconds: every process of one rebuild counts from the same moment.
'use strict';
(() => {
  const began = BEGAN_MILLIS;
  const commit = COMMIT_MILLIS;
  const Real = Date;
  // Another preload of the same thread may have been here: a worker thread inherits the flag and the variable.
  const mark = Symbol.for('countersign.clock');
  if (Real[mark]) return;
  const realNow = Real.now;
  const past = began - commit;
  const now = { now() { return realNow() - past; } }.now;

  // A proxy, so that what reads the constructor sees the real one: its prototype, name, length, own text and statics.
  // `new Date` without an argument is the only construction that looks at a clock; a subclass comes here by `super()`.
  const Clock = new Proxy(Real, {
    apply: () => new Real(now()).toString(),
    construct: (target, given, as) => Reflect.construct(target, given.length === 0 ? [now()] : given, as),
  });
  const hidden = (value) => ({ value, writable: true, enumerable: false, configurable: true });
  Object.defineProperty(Real, 'now', hidden(now));
  Object.defineProperty(Real, mark, { value: true });
  Object.defineProperty(Real.prototype, 'constructor', hidden(Clock));
  Object.defineProperty(global, 'Date', hidden(Clock));

  // Without a moment given, these two look at the clock themselves.
  const formats = Intl.DateTimeFormat.prototype;
  const toParts = formats.formatToParts;
  const format = Object.getOwnPropertyDescriptor(formats, 'format');
  Object.defineProperty(formats, 'formatToParts', hidden(function formatToParts(moment) {
    return toParts.call(this, moment === undefined ? now() : moment);
  }));
  const bound = new WeakMap();
  Object.defineProperty(formats, 'format', {
    ...format,
    get() {
      const real = format.get.call(this);
      if (!bound.has(real)) bound.set(real, (moment) => real(moment === undefined ? now() : moment));
      return bound.get(real);
    },
  });

  // node 26 and later.
  if (typeof Temporal === 'object') {
    const instant = () => Temporal.Instant.fromEpochMilliseconds(now());
    const zoned = (zone = Temporal.Now.timeZoneId()) => instant().toZonedDateTimeISO(zone);
    const clocks = {
      instant,
      zonedDateTimeISO: zoned,
      plainDateTimeISO: (zone) => zoned(zone).toPlainDateTime(),
      plainDateISO: (zone) => zoned(zone).toPlainDate(),
      plainTimeISO: (zone) => zoned(zone).toPlainTime(),
    };
    for (const name of Object.keys(clocks)) Object.defineProperty(Temporal.Now, name, hidden(clocks[name]));
  }

  const { performance } = require('perf_hooks');
  const origin = performance.timeOrigin - past;
  Object.defineProperty(performance, 'timeOrigin', { value: origin, enumerable: true, configurable: true });
  const toJSON = performance.toJSON;
  if (toJSON) {
    Object.defineProperty(performance, 'toJSON', hidden(function () {
      return { ...toJSON.call(this), timeOrigin: origin };
    }));
  }
})();
