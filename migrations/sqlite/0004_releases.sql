-- What maintainers decided, and what is live.

-- One decision about one stage. An approval is written in the transaction that spends the code; releasing follows in
-- another, so a crash between the two leaves an approval that is not released yet, which the next start finishes.
create table decisions (
    verification text not null
        constraint decisions_once primary key
        constraint decisions_verification references verifications (id),
    decision text not null constraint decisions_decision check (decision in ('approved', 'rejected')),
    decided_by text not null constraint decisions_decided_by references maintainers (name),
    decided_at integer not null,
    -- The step of the code that was spent on it.
    factor_step integer not null,
    -- The verdict that it rests on; null for a rejection without one, or in the mode `observe`.
    verdict_id text,
    -- 1: released without a pass, in the mode `observe`. Shown everywhere as "released unverified".
    unverified integer not null constraint decisions_unverified check (unverified in (0, 1)),
    -- Why it was rejected, in the maintainer's words.
    reason text,
    -- When the version went live. Null while an approval is under way.
    released_at integer,
    constraint decisions_only_approvals_are_released check (released_at is null or decision = 'approved')
) strict;

create index decisions_under_way on decisions (decided_at)
    where decision = 'approved' and released_at is null;

-- What `npm install` gets from us.
create table published_versions (
    package text not null,
    version text not null,
    -- The stage that it was released from.
    verification text not null
        constraint published_versions_verification references verifications (id)
        constraint published_versions_once_per_stage unique,
    -- The version's manifest, as JSON, without `dist`, which depends on the address that we are asked at.
    manifest text not null,
    sha512 text not null,
    shasum text not null,
    bytes integer not null,
    access text not null constraint published_versions_access check (access in ('public', 'restricted')),
    unverified integer not null constraint published_versions_unverified check (unverified in (0, 1)),
    released_at integer not null,
    -- A version is released once. Two stages that race get one release and one refusal.
    constraint published_versions_version primary key (package, version)
) strict;

create table dist_tags (
    package text not null,
    tag text not null,
    version text not null,
    set_at integer not null,
    constraint dist_tags_tag primary key (package, tag),
    constraint dist_tags_version foreign key (package, version)
        references published_versions (package, version)
) strict;
