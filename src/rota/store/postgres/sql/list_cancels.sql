-- list_cancels: the held jobs whose cancellation was asked for, for a listener that may have missed the news.
--
-- Takes    nothing
-- Returns  token uuid, in no order
-- Locks    nothing
-- Plan     Seq Scan on claims, which has a row a claim; then Index Scan using live_pkey, once a held job
-- Twin     none: on SQLite a listener's socket is there before listen returns, and misses nothing.

CREATE FUNCTION list_cancels() RETURNS SETOF uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY
    SELECT x.token
      FROM claims c
     CROSS JOIN unnest(c.tokens) t(token)
     CROSS JOIN LATERAL (
           SELECT l.token FROM live l WHERE l.token = t.token AND l.holder = c.worker AND l.cancel_asked LIMIT 1) x;
END
$$;
