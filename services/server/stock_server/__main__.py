from stock_server.main import main

main()
