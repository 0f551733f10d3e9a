-- The application's own table.
create table orders (id bigint primary key, customer text not null, total integer not null);

-- The gate reads one table, and adds to another one, which is its own. It may change neither.
create role portcullis login;
grant select on orders to portcullis;

create schema portcullis;
create table portcullis.owners (
    kind text not null,
    id text not null,
    owner text not null,
    created_at timestamptz not null default now(),
    primary key (kind, id)
);
grant usage on schema portcullis to portcullis;
grant select, insert on portcullis.owners to portcullis;
