from stock_client.main import main

main()
