
ƒ
legacy.protolegacy"Ã
Ask
id (	Rid
count (Rcount$
part (
2.legacy.Ask.PartRpart
marks (Rmarks*
nested (2.legacy.Ask.NestedRnested
Part
x (Rx
Nested
ok (Rok2%
Old
Do.legacy.Ask.legacy.Ask