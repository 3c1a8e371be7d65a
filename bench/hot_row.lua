-- One row that all clients add to: `UPDATE hot SET c = c + 1 WHERE id = 1`, each its own transaction.
-- For sysbench. What it counts as ignored errors are the aborts that reached a client.

sysbench.cmdline.commands = {
   prepare = {
      function()
         local con = sysbench.sql.driver():connect()
         con:query("CREATE TABLE hot (id INT NOT NULL PRIMARY KEY, c BIGINT NOT NULL)")
         con:query("INSERT INTO hot VALUES (1, 0)")
      end
   },
   cleanup = {
      function()
         sysbench.sql.driver():connect():query("DROP TABLE IF EXISTS hot")
      end
   }
}

-- sysbench hands these to every workload alike.
sysbench.cmdline.options = {
   tables = {"Not used", 1},
   table_size = {"Not used", 1},
   auto_inc = {"Not used", true}
}

function thread_init()
   con = sysbench.sql.driver():connect()
end

function thread_done()
   con:disconnect()
end

function event()
   con:query("UPDATE hot SET c = c + 1 WHERE id = 1")
end
