//! The store's contract, written against its public functions alone: whatever database stands behind them has to hold it.

mod events;
mod people;
mod verifications;
