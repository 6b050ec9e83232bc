-- Where each package's source is, as a maintainer confirmed it with a second factor.

-- Every change is a new row: what was believed when a verdict was given can always be looked up.
create table enrolments (
    package text not null,
    -- Counts from 1. The gate compares a verdict's revision with the newest one.
    revision integer not null constraint enrolments_revision_from_one check (revision >= 1),
    -- JSON of `countersign_core::source::Enrolment`: read and written whole, never searched by its parts.
    enrolment text not null,
    confirmed_by text not null constraint enrolments_confirmed_by references maintainers (name),
    confirmed_at integer not null,
    -- The step of the code that confirmed it, for the audit.
    factor_step integer not null,
    -- Two that confirm at once get one revision and one refusal.
    constraint enrolments_revision primary key (package, revision)
) strict;
