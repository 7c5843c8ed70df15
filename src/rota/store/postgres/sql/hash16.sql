-- hash16: the 16 bits that place a job: BLAKE2b of its key, or token, with a digest of two bytes. As rota.model.slot.hash16.
--
-- Takes    p_data bytea
-- Returns  integer, 0 to 65535
-- Locks    nothing
-- Plan     none: it is computed, in about 0.8 ms for every 128 bytes. The server has no BLAKE2b of its own, and that of
--          pgcrypto has a digest of 64 bytes, which begins with others.
-- Twin     none: SQLite gets the number from rota.model.slot. tests/postgres/test_transactional_sql.py holds this one to it.
-- Source   RFC 7693, section 3.

CREATE FUNCTION hash16(p_data bytea) RETURNS integer LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    low CONSTANT bigint := 4294967295;
    start CONSTANT bigint[] := ARRAY[
        x'6a09e667f3bcc908'::bigint, x'bb67ae8584caa73b'::bigint, x'3c6ef372fe94f82b'::bigint, x'a54ff53a5f1d36f1'::bigint,
        x'510e527fade682d1'::bigint, x'9b05688c2b3e6c1f'::bigint, x'1f83d9abfb41bd6b'::bigint, x'5be0cd19137e2179'::bigint];
    -- A digest of two bytes, no key, no tree.
    parameters CONSTANT bigint := x'01010002'::bigint;
    -- Which words of the block each of ten rounds mixes in, two for each of the eight places below.
    words CONSTANT integer[] := ARRAY[
         0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15,
        14, 10,  4,  8,  9, 15, 13,  6,  1, 12,  0,  2, 11,  7,  5,  3,
        11,  8, 12,  0,  5,  2, 15, 13, 10, 14,  3,  6,  7,  1,  9,  4,
         7,  9,  3,  1, 13, 12, 11, 14,  2,  6,  5, 10,  4,  0, 15,  8,
         9,  0,  5,  7,  2,  4, 10, 15, 14,  1, 11, 12,  6,  8,  3, 13,
         2, 12,  6, 10,  0, 11,  8,  3,  4, 13,  7,  5, 15, 14,  1,  9,
        12,  5,  1, 15, 14, 13,  4, 10,  0,  7,  6,  3,  9,  2,  8, 11,
        13, 11,  7, 14, 12,  1,  3,  9,  5,  0, 15,  4,  8,  6,  2, 10,
         6, 15, 14,  9, 11,  3,  0,  8, 12,  2, 13,  7,  1,  4, 10,  5,
        10,  2,  8,  4,  7,  6,  1,  5, 15, 11,  9, 14,  3, 12, 13,  0];
    -- The four columns of the state, then its four diagonals.
    at_a CONSTANT integer[] := ARRAY[ 1,  2,  3,  4,  1,  2,  3,  4];
    at_b CONSTANT integer[] := ARRAY[ 5,  6,  7,  8,  6,  7,  8,  5];
    at_c CONSTANT integer[] := ARRAY[ 9, 10, 11, 12, 11, 12,  9, 10];
    at_d CONSTANT integer[] := ARRAY[13, 14, 15, 16, 16, 13, 14, 15];
    size CONSTANT integer := octet_length(p_data);
    blocks CONSTANT integer := greatest(1, (size + 127) / 128);
    padded CONSTANT bytea := p_data || decode(repeat('00', blocks * 128 - size), 'hex');
    h bigint[] := start;
    v bigint[];
    m bigint[];
    a bigint;
    b bigint;
    c bigint;
    d bigint;
    x bigint;
    y bigint;
    word integer;
BEGIN
    h[1] := h[1] # parameters;
    FOR block IN 0 .. blocks - 1 LOOP
        FOR i IN 0 .. 15 LOOP
            x := 0;
            FOR j IN REVERSE 7 .. 0 LOOP
                x := (x << 8) | get_byte(padded, block * 128 + i * 8 + j);
            END LOOP;
            m[i + 1] := x;
        END LOOP;
        v := h || start;
        v[13] := v[13] # least(size, (block + 1) * 128);
        IF block = blocks - 1 THEN
            v[15] := ~v[15];
        END IF;
        -- Sums are those of unsigned 64 bits: in halves, since the server's own addition refuses what overflows.
        FOR round IN 0 .. 11 LOOP
            FOR g IN 1 .. 8 LOOP
                word := round % 10 * 16 + 2 * g;
                x := m[words[word - 1] + 1];
                y := m[words[word] + 1];
                a := v[at_a[g]];
                b := v[at_b[g]];
                c := v[at_c[g]];
                d := v[at_d[g]];
                a := (((a >> 32) + (b >> 32) + (x >> 32) + (((a & low) + (b & low) + (x & low)) >> 32)) << 32)
                     | (((a & low) + (b & low) + (x & low)) & low);
                d := d # a;
                d := ((d >> 32) & low) | (d << 32);
                c := (((c >> 32) + (d >> 32) + (((c & low) + (d & low)) >> 32)) << 32) | (((c & low) + (d & low)) & low);
                b := b # c;
                b := ((b >> 24) & 1099511627775) | (b << 40);
                a := (((a >> 32) + (b >> 32) + (y >> 32) + (((a & low) + (b & low) + (y & low)) >> 32)) << 32)
                     | (((a & low) + (b & low) + (y & low)) & low);
                d := d # a;
                d := ((d >> 16) & 281474976710655) | (d << 48);
                c := (((c >> 32) + (d >> 32) + (((c & low) + (d & low)) >> 32)) << 32) | (((c & low) + (d & low)) & low);
                b := b # c;
                b := ((b >> 63) & 1) | (b << 1);
                v[at_a[g]] := a;
                v[at_b[g]] := b;
                v[at_c[g]] := c;
                v[at_d[g]] := d;
            END LOOP;
        END LOOP;
        FOR i IN 1 .. 8 LOOP
            h[i] := h[i] # v[i] # v[i + 8];
        END LOOP;
    END LOOP;
    RETURN ((h[1] & 255) << 8) | ((h[1] >> 8) & 255);
END
$$;
