//! The strict reader against the npm that is real: what it accepts, npm puts on the disk just so, and what npm would make
//! something else of, it refuses. `table` holds the hundred measured cases, `generate` makes any number of others, `mutate`
//! changes real tarballs; `extractor` is npm's own unpacking in one process for all of them. How to run the long ones by hand
//! stands in tests/README.md.

mod differential;
mod extractor;
mod generate;
mod installed;
mod judged;
mod mutate;
mod mutations;
mod parts;
mod random;
mod table;
mod table_rows;
mod tree;
mod twists;
mod variety;
#[path = "../../../src/core/archive/tests/writer.rs"]
mod writer;
