-- Who asks: maintainers with their two factors, their sessions, and the tokens of machines.

-- A person who can approve. The name is the key: it is what npm shows (`whoami`, `actor`), what an enrolment names as
-- its confirmer and what the audit log keeps, so it never changes; a renamed person is a new maintainer.
create table maintainers (
    name text not null
        constraint maintainers_name primary key
        -- The rules of npm's user names, as far as the command line and URLs need them.
        constraint maintainers_name_form check (length(name) between 1 and 64),
    -- PHC string of argon2id: it carries its own salt and cost, so the cost can rise for new passwords.
    password_hash text not null,
    -- The seed of the one-time codes (RFC 6238), in base32 as authenticators take it. It has to be readable to check a
    -- code; see the README of this folder.
    totp_secret text not null,
    -- The step of the last code that was accepted. Each further one has to exceed it, so that a code that somebody
    -- looked at over a shoulder or on the wire is worth nothing. Null before the first.
    totp_last_step integer,
    created_at integer not null
) strict;

-- For whom a package's stages and reports are visible, and who may decide about them. A maintainer comes in by confirming
-- an enrolment of the package, which an operator starts on the service's host and which takes that maintainer's code.
create table package_maintainers (
    package text not null,
    maintainer text not null
        constraint package_maintainers_maintainer references maintainers (name),
    added_at integer not null,
    constraint package_maintainers_pair primary key (package, maintainer)
) strict;

create index package_maintainers_by_maintainer on package_maintainers (maintainer, package);

-- A maintainer who signed in. Approving takes such a session and a fresh code; a session by itself releases nothing.
create table sessions (
    -- Named in lists and when one session is ended; worthless to whoever finds it.
    id text not null constraint sessions_id primary key,
    -- SHA-256 of the 256-bit secret. A fast hash is enough, since the secret is not a password but random.
    secret_sha256 text not null constraint sessions_secret unique,
    -- `npm`: from npm login, sent as a bearer token. `page`: a cookie of the browser, with the rules of cookies (CSRF).
    -- The one never counts as the other.
    kind text not null constraint sessions_kind check (kind in ('npm', 'page')),
    maintainer text not null constraint sessions_maintainer references maintainers (name),
    created_at integer not null,
    expires_at integer not null,
    -- When it was ended before its time: by npm logout, from the page, or by "that was not me".
    revoked_at integer
) strict;

create index sessions_by_maintainer on sessions (maintainer, created_at);

-- What a machine shows: CI, a registry, a worker. No scope of it can approve.
create table tokens (
    id text not null constraint tokens_id primary key,
    secret_sha256 text not null constraint tokens_secret unique,
    -- JSON array of scopes: verify, read, stage, worker, admin.
    scopes text not null,
    -- 1: every package, also those that come later. 0: those in token_packages. A column of its own, so that an empty
    -- list can never be read as "no limit".
    every_package integer not null constraint tokens_every_package check (every_package in (0, 1)),
    -- Who made it: a maintainer's name, or `operator` for a command on the service's host, or `serve` for the token of a
    -- child worker, which ends with its process.
    created_by text not null,
    created_at integer not null,
    -- There is no token without an end.
    expires_at integer not null,
    revoked_at integer
) strict;

-- A table and not a JSON list, so that "the stages that this token may see" is a join in every database.
create table token_packages (
    token text not null constraint token_packages_token references tokens (id),
    package text not null,
    constraint token_packages_pair primary key (token, package)
) strict;

-- Wrong passwords and codes, for limits that hold across processes and restarts. A row is written before the guess is
-- looked at and taken away again if it was right, so that many at once count as many. The account need not exist: the
-- answer must not tell which names do. Passwords and codes count apart, or anybody could keep a maintainer from
-- approving by guessing passwords.
create table guesses (
    id integer constraint guesses_id primary key autoincrement,
    account text not null,
    factor text not null constraint guesses_factor check (factor in ('password', 'code')),
    at integer not null
) strict;

create index guesses_by_account on guesses (account, factor, at);
